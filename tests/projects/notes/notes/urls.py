from django.contrib.auth.views import LoginView
from django.urls import path

from notes import views

urlpatterns = [
    path("", views.index, name="index"),
    path("notes/<int:number>/", views.note),
    path("write/", views.write),
    path("login/", LoginView.as_view()),
]
