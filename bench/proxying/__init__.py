"""The gateway beside another proxy: one upstream, one client, each subject in processes of its own."""
