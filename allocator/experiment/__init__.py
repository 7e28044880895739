"""An experiment inside a plan: chance keeps a coupon from some users and gives others a random one.

The plan is made for everyone first; what is really sent keeps every limit whatever chance decides.
"""
