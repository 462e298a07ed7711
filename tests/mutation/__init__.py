"""What the tests of the verifier do not notice: a mutation run and the reasons for what it leaves."""
