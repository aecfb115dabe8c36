r"""Pairs of students of one teacher, in prose, in thoughts and in LaTeX: the first must score above the second."""

from __future__ import annotations

import pytest

from rlkd.structure.scorer import score_paths

EGGS = ("Janet's ducks lay 16 eggs. She eats three and bakes with four. She sells the rest at $2 each.",
        "Janet sells 16 - 3 - 4 = 9 duck eggs a day.\nShe makes 9 * 2 = $18 every day.\n#### 18")  # fmt: skip
PENS = ("Pens cost $3 each. Tom buys 4 pens and pays with $20. How much change?",
        "The pens cost 4 * 3 = $12.\nHis change is 20 - 12 = $8.\n#### 8")  # fmt: skip
SOLVE = ("Solve for x: 3(x-4)=2x+7.",
         r"Expanding, $3x-12=2x+7$. Subtracting $2x$ from both sides, $x-12=7$. Adding 12, $x=\boxed{19}$.")  # fmt: skip
POWER = ("What is the remainder when 7^{2023} is divided by 5?",
         r"Note $7 \equiv 2 \pmod 5$. Since $2^4 = 16 \equiv 1 \pmod{5}$ and $2023 = 4\cdot 505+3$, we have $2^{2023}\equiv 2^3 = 8\equiv \boxed{3} \pmod 5$.")  # fmt: skip
HERON = ("What is the area of a triangle with sides 13, 14, 15?",
         r"Then $s = \frac{13+14+15}{2} = 21$. The area is $\sqrt{21 \cdot 8 \cdot 7 \cdot 6} = \sqrt{7056} = 84$. The answer is $\boxed{84}$.")  # fmt: skip
DIVISORS = ("How many positive divisors does 360 have?",
            r"The prime factorization is $360 = 2^3 \cdot 3^2 \cdot 5$. The number of divisors is $(3+1)(2+1)(1+1) = 4 \cdot 3 \cdot 2 = \boxed{24}$.")  # fmt: skip
DICE = ("A fair die is rolled twice. What is the probability that the sum is 7?",
        r"There are $6 \cdot 6 = 36$ outcomes, and 6 of them have the sum 7. The probability is $\frac{6}{36} = \boxed{\frac{1}{6}}$.")  # fmt: skip
CHOOSE = (
    "How many ways to choose 3 of 8?",
    r"There are $\binom{8}{3}=56$ ways. With a leader of the 3 there are $56 \cdot 3 = 168$.",
)
CATS = ("", "All cats are mammals.\nAll mammals are warm.\nSo all cats are warm.")

PAIRS = [
    (EGGS, "Eating three and baking four leaves nine eggs. Selling nine at $2 each gives $18.", "She has 16 - 3 = 13 eggs left. She makes 13 * 2 = 26."),
    (EGGS, "That means she has 16 - 3 - 4 = 9 eggs left. So she makes 9 x $2 = $18.", "She has 16 + 3 + 4 = 23. She makes 23 * 2 = 46."),
    (EGGS, "16 - 3 = 12. Wait, that's 13. 13 - 4 = 9. 9 * 2 = 18.", "16 - 3 = 12. 12 - 4 = 8. 8 * 2 = 16."),
    (EGGS, "Eating 3 and baking 4 leaves 9 eggs. Multiply 9 by 2 to get 18.", "Eating 3 and baking 4 leaves 10 eggs. Multiply 10 by 2 to get 20."),
    (EGGS, EGGS[1], "She sells 16 - 3 - 4 = 9 eggs."),
    (PENS, "Four pens at three dollars is 12 dollars. He gets 20 minus 12, i.e. 8 dollars back.", "4 * 3 = 12. 20 + 12 = 32."),
    (PENS, "So he spends 4 x $3 = $12. That means his change is $20 - $12 = $8.", "He spends 4 + 3 = 7. His change is 20 - 7 = 13."),
    (SOLVE, "Distribute: 3x - 12 = 2x + 7\nSubtract 2x: x - 12 = 7\nAdd 12: x = 19", "3x + 12 = 2x + 7\nx + 12 = 7\nx = -5"),
    (SOLVE, "$3y-12=2y+7$, so $y-12=7$. So $y=19$.", "Expanding, $3x-4=2x+7$. Then $x-4=7$, $x=11$."),
    (SOLVE, "$3x - 12 = 2x + 7$\n\n$x - 12 = 7$\n\n$x = 19$", "$3x-12=2x+7$. Adding $2x$, $5x-12=7$. Then $5x=19$."),
    (POWER, r"We have $7\equiv 2$. Because $2^4\equiv 1$ and $2023 = 4\cdot 505+3$, $7^{2023}\equiv 2^3\equiv 8\equiv 3$.", r"We have $7 \equiv 2 \pmod 5$, and $2023 = 4\cdot 505+1$, so $2^{2023}\equiv 2^1 = 2$."),
    (HERON, r"The semiperimeter is $s=\frac{1}{2}(13+14+15)=21$. So \[K=\sqrt{21\cdot 8\cdot 7\cdot 6}=84.\]", r"Then $s = \frac{13+14+15}{2} = 22$. The area is $\sqrt{22\cdot 9\cdot 8\cdot 7} \approx 105.3$."),
    (HERON, "The semiperimeter is (13 + 14 + 15) / 2 = 21. The area is sqrt(21 * 8 * 7 * 6) = sqrt(7056) = 84.", r"The area is $\frac{1}{2}\cdot 13\cdot 14 = 91$."),
    (DIVISORS, r"\begin{align*} 360 &= 2^3 \cdot 3^2 \cdot 5\\ \tau(360) &= (3+1)(2+1)(1+1)\\ &= 24 \end{align*}", r"$360 = 2^3 \cdot 3^2 \cdot 5$. The number of divisors is $3\cdot 2\cdot 1 = 6$."),
    (DICE, r"There are $6^2=36$ outcomes. So $P(A)=\frac{6}{36}=\frac16$.", r"There are $6+6=12$ outcomes. The probability is $\frac{6}{12}=\frac12$."),
    (CHOOSE, "C(8, 3) = 56 ways. With a leader, 56 * 3 = 168.", r"There are $\binom{8}{2}=28$ ways, so $28\cdot 3=84$."),
    (CHOOSE, r"$\frac{8!}{3!5!} = 56$, and $56 \cdot 3 = 168$.", r"$8 \cdot 3 = 24$, and $24 \cdot 3 = 72$."),
    (CATS, "All mammals are warm.\nAll cats are mammals.\nTherefore all cats are warm.", "So all cats are warm.\nAll mammals are warm.\nAll cats are mammals."),
    (CATS, "Cats are mammals.\nMammals are warm.\nHence cats are warm.", "No cats are mammals.\nAll mammals are warm.\nSo no cats are warm."),
    (CATS, CATS[1], "All mammals are cats.\nAll warm things are mammals.\nSo all warm things are cats."),
]  # fmt: skip


@pytest.mark.parametrize(("task", "better", "worse"), PAIRS)
def test_the_better_path_scores_higher(task: tuple[str, str], better: str, worse: str) -> None:
    problem, teacher = task
    one, other = score_paths(problem, [teacher], better), score_paths(problem, [teacher], worse)
    assert one is not None and other is not None
    assert one.structure > other.structure + 0.05
    assert one.structure > 0.4


@pytest.mark.parametrize("task", [EGGS, PENS, SOLVE, POWER, HERON, DIVISORS, DICE, CHOOSE, CATS])
def test_identical_paths_score_one(task: tuple[str, str]) -> None:
    found = score_paths(task[0], [task[1]], task[1])
    assert found is not None and found.structure == pytest.approx(1.0)
