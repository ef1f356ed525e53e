"""What all commands share: errors that a user can put right, options, and how a command ends."""
