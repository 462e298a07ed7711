"""The broker over HTTP: `edge` guards size and path, `guest` and `admin` are the two doors."""
