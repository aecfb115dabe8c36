"""The structure reward: how well a student's reasoning path follows a teacher's, as a score in [0, 1].

One example through all rooms, for the problem "Ducks lay 16 eggs. She eats three and bakes with four. She sells the rest
for $2 each." The teacher writes ``She sells 16 - 3 - 4 = 9 eggs. She makes 9 * 2 = $18.``, the student ``She uses
3 + 4 = 7 eggs. That leaves 16 - 7 = 9. So she makes 2 x 9 = 18 dollars.``

1. ``reading`` finds the steps of a text and the calculations in them: ``3 + 4 = 7``, ``16 - 7 = 9``, ``2 * 9 = 18``.
2. ``decomposers`` make a :class:`~schemas.structure.Structure` of it: by these rules, by a model, or by a world's own reader.
3. ``graph`` links them: 9 is found from 7, 18 from 9; nothing uses 18, so it is open at the end.
4. ``judges`` compare pairs of steps: ``16 - 7 = 9`` and the teacher's ``16 - 3 - 4 = 9`` have the same answer.
5. ``matching`` pairs 9 with 9 and 18 with 18, sees that ``3 + 4 = 7`` is split off from the teacher's first step, and counts what
   departs from the teacher's path: here only words, 0.993.
6. ``backends`` hold what decomposers and judges with a model need: prompts, and caches of what was asked before.

``interfaces`` says what a decomposer, a judge and an alignment are, ``scorer`` carries a path through all of this, ``factory`` builds it from
a configuration, and ``stage`` decomposes the teacher's traces once for a run.
"""
