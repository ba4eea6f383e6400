"""The first example: a name is put into Flask's session. Only the import differs."""

from flask import Flask

from holdfast.flask import session

app = Flask(__name__)
app.secret_key = "123"


@app.route("/test1/")
def test() -> str:
    session.setdefault("name", "xiaoming")
    return "OK"


@app.route("/name")
def name() -> str:
    return str(session.get("name", "nobody"))


if __name__ == "__main__":
    app.run(port=5000, debug=True)  # noqa: S201  # for manual use
