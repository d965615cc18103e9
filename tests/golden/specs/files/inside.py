def test_nothing(host):  # type: ignore[no-untyped-def] # as people write them
    assert host.exists("sh")
