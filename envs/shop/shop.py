"""The shop: its articles from the database, its visitors counted in the cache, itself by its name."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import gethostname

import psycopg2
import redis

CACHE = redis.Redis(host=os.environ["CACHE"])


class Shop(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        with psycopg2.connect(os.environ["DATABASE"]) as database, database.cursor() as cursor:
            cursor.execute("select name from articles order by name")
            articles = [name for (name,) in cursor.fetchall()]
        visits = CACHE.incr("visits")
        page = f"{', '.join(articles)}\nvisit {visits}, served by {gethostname()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


ThreadingHTTPServer(("", int(os.environ["APP_PORT"])), Shop).serve_forever()
