"""Sessions in MySQL, by Flask-SQLAlchemy. Only the import differs, and the database can be chosen."""

import os

from flask import Flask, session
from flask_sqlalchemy import SQLAlchemy

from holdfast.flask import Session

app = Flask(__name__)
app.debug = True
app.secret_key = "xxxx"
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get(
    "SQLALCHEMY_DATABASE_URI", "mysql+pymysql://root:123@127.0.0.1:3306/fssa?charset=utf8"
)
app.config["SQLALCHEMY_TRACK_MODIFICATIONS"] = True
app.config["SQLALCHEMY_ECHO"] = True
db = SQLAlchemy(app)
app.config["SESSION_TYPE"] = "sqlalchemy"
app.config["SESSION_SQLALCHEMY"] = db
app.config["SESSION_SQLALCHEMY_TABLE"] = "session"
app.config["SESSION_PERMANENT"] = True
app.config["SESSION_USE_SIGNER"] = False
app.config["SESSION_KEY_PREFIX"] = "mysql:"
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

# The table, in a Python shell: from app import db, then db.create_all(). It is made by itself, too.
