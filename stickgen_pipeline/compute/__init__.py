"""Where heavy steps run: in a process of their own that is fed one step after another."""
