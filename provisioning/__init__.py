"""Settings, rendering, and the plan that brings a cluster from what is to what should be."""
