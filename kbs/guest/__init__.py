"""The guest at boot: prove the machine to a broker, receive a secret, hand it over."""
