"""What the pages share: navigation, session state, inputs, messages."""
