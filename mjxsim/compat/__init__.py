"""mjxsim under the interfaces of other projects."""
