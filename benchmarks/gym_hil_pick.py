"""A scripted pick in gym-hil's own terms; plain NumPy: gym-hil's interpreter runs it too."""

import numpy as np

UP = np.array([0.0, 0.0, 1.0])


class Pick:
    """Hovers above the cube, descends, closes, lifts: an action (7,) for an observation."""

    def __init__(self):
        self.phase, self.waited, self.height = "hover", 0, 0.0

    def __call__(self, agent_pos, cube):
        """From agent_pos (18,) and the cube's place (3,) [m]."""
        tcp, cube = np.asarray(agent_pos[15:18], float), np.asarray(cube, float)
        aside = np.linalg.norm(cube[:2] - tcp[:2])
        if self.phase == "hover" and aside < 0.006 and tcp[2] < cube[2] + 0.12:
            self.phase = "descend"
        if self.phase == "descend" and tcp[2] < cube[2] + 0.008:
            self.phase = "close"
        if self.phase == "close" and self.waited >= 4:
            self.phase = "lift"
        goal, grip = {
            "hover": (cube + 0.08 * UP, -1.0),
            "descend": (cube, -1.0),
            "close": (tcp, 1.0),
            "lift": (tcp + 0.05 * UP, 1.0),
        }[self.phase]
        self.waited += self.phase == "close"
        # The target is integrated and the arm trails it: go part of the way that is left.
        move = np.clip(0.4 * (goal - tcp), -0.02, 0.02)
        return np.array([*move, 0.0, 0.0, 0.0, grip], np.float32)
