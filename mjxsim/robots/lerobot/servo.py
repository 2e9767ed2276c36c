"""The Feetech STS3215 servo that drives every joint of an SO arm, and LeRobot's settings of it.

Sources:
  [so101] TheRobotStudio/SO-ARM100, Simulation/SO101/so101_new_calib.xml (Apache-2.0).
  [menagerie] google-deepmind/mujoco_menagerie, trs_so_arm100/so_arm100.xml (Apache-2.0).
  [sts3215] Feetech STS3215 12 V data sheet: stall torque 30 kg cm, 45 rev/min without load,
    4096 steps per turn.
  [lerobot] huggingface/lerobot, src/lerobot/robots/so_follower/so_follower.py and
    src/lerobot/motors/motors_bus.py (Apache-2.0).

The same servo is in both arms, so both take the same numbers, of which public sources give several:

  source                         kp      kv     damping  armature  friction  force limit
  [so101]                        998.22  2.731  0.6      0.028     0.052     3.35
  its joints_properties.xml      17.8    0      0.6      0.028     0.052     3.35
  [menagerie]                    50      (damping ratio 1)  0.1    0.1       3.5, before 35

Stiffness differs by a factor of 56. A real servo's depends on its register P (LeRobot writes 16),
its supply voltage and its wear, so it is the first thing to identify. We take kp, damping ratio and
armature of [menagerie], and [so101]'s damping as the passive part of it, for that explains itself:
it is the back electromotive force, stall torque over speed without load, 2.94 N m / 4.71 rad/s =
0.62 N m s/rad, and gives the arm its true top speed. kv is the rest up to the damping ratio 1: the
arm's inertia is 0.1 to 0.106 kg m^2, so 2 sqrt(50 * 0.106) = 4.6 = 0.6 + 4. The force limit is the
stall torque of [sts3215].

Why not the others: 998 is beyond what a timestep of 0.005 s resolves (sqrt(998 / 0.034) = 171
rad/s). An armature of 0.028 makes a servo that is fast for its timestep, and then a grasp suffers:
MuJoCo's contact solver does not see damping that the integrator treats implicitly, so jaws and
object part by that share of the arm's acceleration, timestep * damping / inertia, in every step. A
cube shaken with 3 m/s^2 slipped 6 mm in 3 s with 0.028 and 0.7 mm with 0.1.

Friction is left out: it would add a constraint row per joint to every solve on MJX, and what it
does beside the damping is a dead band of 0.052 / 50 = 0.001 rad.

Gravity: the real arm does not carry its weight without an error; with kp 50 it sags by up to 0.007
rad at home and 0.02 rad stretched out, and by three times that with 17.8. Here every moving body
has gravcomp = 1: it is as if the host added torque / kp to its position commands, so that a motion
ends where it was sent. Override `body_gravcomp` with 0 to get the sag back, or with values between
to randomize it.
"""

__all__ = [
    "ARMATURE",
    "DAMPING",
    "FORCE_LIMIT",
    "GRIPPER_FORCE_LIMIT",
    "KP",
    "KV",
    "NO_LOAD_SPEED",
    "TICKS_PER_TURN",
]

KP = 50.0  # position gain [N m / rad]; [menagerie]
KV = 4.0  # velocity gain [N m s / rad]; from the damping ratio of [menagerie], see above
DAMPING = 0.6  # viscous damping of the joint [N m s / rad]; [so101]
ARMATURE = 0.1  # rotor inertia seen at the joint [kg m^2]; [menagerie]
FORCE_LIMIT = 2.94  # stall torque [N m], 30 kg cm; [sts3215]
NO_LOAD_SPEED = 4.71  # [rad/s], 45 rev/min; [sts3215]
# LeRobot sets the gripper's Max_Torque_Limit to 500 of 1000 "to avoid burnout"; [lerobot].
GRIPPER_FORCE_LIMIT = 0.5 * FORCE_LIMIT  # [N m]
TICKS_PER_TURN = 4096  # encoder steps; [sts3215]
