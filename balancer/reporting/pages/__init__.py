"""Reports as pages: one HTML file each, which fetches nothing from anywhere."""
