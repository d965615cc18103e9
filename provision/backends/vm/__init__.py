"""Virtual machines: one a machine, made and started by a driver, prepared by the same steps."""

from provision.backends.vm.backend import VirtualMachines

BACKEND = VirtualMachines()
