"""A server that webhooks tell, for a load and a harness."""

import http.server
import threading


class Quiet(http.server.ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 256

    def handle_error(self, *_):
        """Says nothing: a server that is killed breaks its connections."""


def listen(address, hear):
    """Serves until it is shut down. `hear` takes the headers and the body of a message, and gives the status of the answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(hear(self.headers, body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = Quiet((address, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
