"""Pure: names of IPNS, the keys that stand behind them, and the records that say where a name leads."""
