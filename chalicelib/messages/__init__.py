"""What a send carries: templates for LINE, e-mail, SMS and letters, checked against each channel's limits when saved."""
