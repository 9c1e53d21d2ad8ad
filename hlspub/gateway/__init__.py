"""What a viewer and an operator see over HTTP, and the control socket."""
