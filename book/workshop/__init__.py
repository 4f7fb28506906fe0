"""The workshop kit: notebooks for learners and instructors, slides and lesson plans, made from the chapters.

    python -m book.workshop            everything, into _build/workshop

Nothing here is written twice: text, code, outputs, hints, mistakes, quiz questions and minutes come from the chapters,
from recbook/checks and from book/quizzes. What a course takes of them stands in routes.toml.
"""
