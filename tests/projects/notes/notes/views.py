import time

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from notes.models import Note
from services import GREETING


@login_required
def index(request: HttpRequest) -> HttpResponse:
    context = {"greeting": GREETING, "name": request.user.get_username(), "notes": Note.objects.all()[:20]}
    return render(request, "index.html", context)


@login_required
def note(request: HttpRequest, number: int) -> HttpResponse:
    time.sleep(0.1)  # somebody else's search
    return render(request, "note.html", {"note": get_object_or_404(Note, pk=number)})


@login_required
def write(request: HttpRequest) -> HttpResponse:
    Note.objects.filter(pk=1).update(text=request.POST["text"])
    return redirect("index")
