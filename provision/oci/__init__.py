"""A registry of OCI artifacts: where it is, how it is asked, and what is kept there of images and disks."""
