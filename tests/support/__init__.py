"""What tests are built with: one noun a module."""
