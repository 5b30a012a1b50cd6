"""The benchmark: this library beside the limit and beside plain django-rq, in one run."""
