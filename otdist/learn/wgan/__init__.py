"""Wasserstein GANs, with checks of the generator on held-out data."""

from otdist.learn.wgan.fit import fit_wgan
from otdist.learn.wgan.monitor.alarms import Alarm
from otdist.learn.wgan.monitor.check import Check
from otdist.learn.wgan.settings import Settings
from otdist.learn.wgan.wgan import WGAN, Bracket

__all__ = ["WGAN", "Alarm", "Bracket", "Check", "Settings", "fit_wgan"]
