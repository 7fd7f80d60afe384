"""A desk that answers standing questions from papers as they are published, and corrects itself.

A paper that has to do with a question is answered from within seconds, with literal quotes. When a paper is withdrawn,
whoever was told what rests on it is told so, and the question is answered anew.
"""

import os
from datetime import timedelta

from examples.desk_data import Paper, Question, feed, readers
from extrovert import App, DecisionInvalidated, Permits, Record, Refuse, Thinking, Turn, Untrusted

app = App("desk")
KEPT = timedelta(days=30)


class Excerpt(Record):
    excerpt_id: str
    question_id: str
    paper_id: str
    abstract: Untrusted[str]


class Evidence(Record):
    question: Question
    excerpts: list[Excerpt]


class Answer(Record):
    question_id: str
    text: Untrusted[str]
    quotes: Untrusted[dict[str, str]]  # by paper


papers = app.table("papers", Paper, key=Paper.paper_id, order_by=Paper.published_at, history=KEPT)
questions = app.table("questions", Question, key=Question.question_id)
asked = app.search("asked", over=questions, text=Question.text)
answers = app.table("answers", Answer, key=Answer.question_id)
app.source(readers)
app.source(feed)


@app.view(over=papers, key=Excerpt.excerpt_id)
def excerpts(paper: Paper) -> list[Excerpt]:
    """A paper looks for its questions, which costs the same however many papers there are."""
    text = paper.abstract
    found = [hit.row for hit in asked.search(text, limit=20) if all(word in text for word in hit.row.about)]
    return [Excerpt(f"{one.question_id}/{paper.paper_id}", one.question_id, paper.paper_id, text) for one in found]


newest = excerpts.range_index(Excerpt.question_id, Excerpt.paper_id)


@app.view(over=questions)
def evidence(question: Question) -> Evidence:
    return Evidence(question, list(newest.under(question.question_id, limit=3, descending=True)))


@app.policy(thinks=Thinking(timedelta(seconds=2)))
def quoting(found: Evidence) -> Answer:
    sentences = [(one.paper_id, sentence) for one in found.excerpts for sentence in one.abstract.split(". ")]
    quotes = {paper_id: said for paper_id, said in sentences if all(word in said for word in found.question.about)}
    return Answer(found.question.question_id, f"{len(quotes)} of the latest papers speak of it:", quotes)


@app.effect
async def tell(reader: str, text: str) -> None:
    print(f"{reader}: {text}", flush=True)


@app.agent(
    wakes_on=evidence,
    model=os.environ.get("EXTROVERT_MODEL") or quoting,
    when_tainted=Permits(effects=[tell], writes=[answers], trusted={tell: {"reader": Question.reader}}),
)
async def answer(turn: Turn, found: Evidence) -> None:
    """You answer a question from the excerpts alone, in one sentence. Quote your grounds word for word, by paper_id."""
    said = Answer(turn.key, "", {})
    if found.excerpts:
        said = (await turn.ask(found, output=Answer)).but(question_id=turn.key)
    for paper_id, quote in said.quotes.items():
        paper = papers.get(paper_id)  # by this read it is known later what rests on a paper
        if paper is None or quote not in paper.abstract:
            raise Refuse(f"{paper_id} does not say so: {quote}")
    if said != answers.get(turn.key):
        turn.put(answers, said)
        if said.quotes:
            cited = "; ".join(f"{quote} [{paper_id}]" for paper_id, quote in said.quotes.items())
            turn.effect(tell, found.question.reader, f"{found.question.text} {said.text} {cited}")


@app.agent(wakes_on=app.invalidations(horizon=KEPT))
async def correct(turn: Turn, event: DecisionInvalidated) -> None:
    """Tells whoever was told what rests on a paper that has been withdrawn since, once."""
    question = questions[str(event.about)]
    for paper_id in sorted({str(read.key) for wrong in turn.events for read in wrong.reads}):
        text = f"Correction: {question.text} I answered by {paper_id}, which has been withdrawn or corrected since."
        turn.effect(tell, question.reader, text).once(f"{question.question_id}/{paper_id}")
