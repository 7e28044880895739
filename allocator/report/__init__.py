"""Plans and what-ifs as pages: one self-contained HTML file each, which fetches nothing and runs nothing."""
