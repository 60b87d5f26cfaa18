-- Who has taken an operation up: the number under which a running process holds an advisory lock. Where nobody holds it
-- any more, the process has ended, and the operation does not wait for the end of its lease.
ALTER TABLE operations ADD COLUMN taken_by int;
