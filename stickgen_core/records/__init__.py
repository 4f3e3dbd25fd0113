"""What makes a result checkable: named seeds, content digests, manifests, atomic publishing, environment, runs, retention."""
