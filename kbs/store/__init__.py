"""What the broker remembers, in one database: SQLite now, others behind the same tables later."""
