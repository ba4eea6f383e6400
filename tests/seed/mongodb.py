"""Sessions in MongoDB. Only the import differs, and the server can be chosen."""

import os
from typing import Any

import pymongo
from flask import Flask, session

from holdfast.flask import Session

client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(os.environ.get("MONGODB"))

app = Flask(__name__)
app.debug = True
app.secret_key = "xxxx"
app.config["SESSION_TYPE"] = "mongodb"
app.config["SESSION_MONGODB"] = client
app.config["SESSION_MONGODB_DB"] = "blog"
app.config["SESSION_MONGODB_COLLECT"] = "session"
app.config["SESSION_PERMANENT"] = True
app.config["SESSION_USE_SIGNER"] = False
app.config["SESSION_KEY_PREFIX"] = "mongodb:"
Session(app)


@app.route("/index")
def index() -> str:
    session["k1"] = "v1"
    session["k2"] = "v1"
    return "xx"


@app.route("/k1")
def k1() -> str:
    return str(session.get("k1", "nothing"))


if __name__ == "__main__":
    app.run()
