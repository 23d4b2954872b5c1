"""A pair's teacher, trained as a plain student is."""

from kd_bench.distillers.student import Student


class Teacher(Student):
    """Trains the pair's teacher on the labels alone."""

    network = "teacher"
