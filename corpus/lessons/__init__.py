"""Text for a language model that learns to answer from hints: simulated hint lines and questions.

A recording is simulated as the facts that hints can tell: what is said, by whom, what sounds from
when to when and how loud. Hint lines are written as `mowe.hints.lines` writes them, and every
answer follows from the lines; where they leave something open, the answer says so. No sound is
made. A lesson follows from its seed.
"""

from corpus.lessons.teacher import Lesson, Teacher

__all__ = ["Lesson", "Teacher"]
