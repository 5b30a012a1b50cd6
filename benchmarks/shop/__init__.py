"""What eda-django and plain django-rq need to hear of a sale."""
