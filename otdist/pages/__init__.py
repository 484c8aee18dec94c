"""Parts shared by all report pages: formatted numbers, axes, drawings, style and file output."""
