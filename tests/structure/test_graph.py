"""What uses what, and what is open."""

from __future__ import annotations

from rlkd.quantities.stated import problem_quantities
from rlkd.structure.decomposers.rules import decompose_text
from rlkd.structure.graph import Graph, PathGraph, build_graph, find_value
from rlkd.structure.reading.calculation import Found
from schemas.structure import Structure


def graph_of(path: str, problem: str = "") -> Graph:
    return PathGraph(decompose_text(path, problem=problem), problem).graph


def test_results_that_are_used_are_edges_the_rest_is_open() -> None:
    graph = graph_of("3 + 4 = 7\n16 - 7 = 9\n5 * 5 = 25")
    assert [node.deps for node in graph.nodes] == [[], [0], []]
    assert graph.frontier == [9, 25]
    assert graph.base() == [3, 4, 16, 5, 5]


def test_repeats_and_restatements_are_dropped() -> None:
    graph = graph_of("3 + 4 = 7\n20 * 1 = 20\n4 + 3 = 7\n7 + 0 = 7")
    assert [node.value for node in graph.nodes] == [7]
    assert graph.dropped == [(1, -1), (2, 0), (3, 0)]


def test_a_result_used_too_early_is_linked_ahead() -> None:
    graph = graph_of("16 - 9 = 7\n4 + 5 = 9", "There are 16, 4 and 5.")
    assert graph.nodes[0].ahead == [1]
    assert graph.frontier == [7]


def test_no_result_is_used_by_what_it_comes_from() -> None:
    graph = graph_of("5 + 5 = 10\n10 - 5 = 5")
    assert graph.nodes[0].ahead == []
    assert graph.frontier == [5]


def test_a_given_number_is_not_taken_from_a_used_result() -> None:
    graph = graph_of("10 / 2 = 5\n5 + 1 = 6\n6 * 5 = 30", "5 10 2 1")
    assert [node.deps for node in graph.nodes] == [[], [0], [1]]


def test_equations_in_one_unknown_follow_each_other() -> None:
    graph = graph_of("Let x be it. x + 3 = 10\n2x = 14\nx = 7")
    assert graph.frontier == [7]


def test_find_value_takes_the_last_and_rounds_only_fractions() -> None:
    assert find_value(5.0, [5.0, 6.0, 5.0]) == 2
    assert find_value(2001.0, [2000.0]) == -1
    assert find_value(33.33, [33.333333]) == 0


def test_problem_quantities_in_digits_and_words() -> None:
    assert problem_quantities("She eats three of 1,200 eggs, half a dozen at $2.50; twice") == (
        3,
        1200,
        0.5,
        12,
        2.5,
        2,
    )


def test_a_stored_structure_gives_the_same_graph_as_the_path() -> None:
    path = (
        "Let x be the price. Then x - 0.25x = 19.50 dollars.\nThat is 20% of 50 is 10.\nSo 7 - 31 = -24 and 12/20 x 100% = 60%."
        "\nHe has 3 1/2 - 2 = 1 1/2 left."
    )
    structure = decompose_text(path, problem="25")
    stored = Structure.model_validate_json(structure.model_dump_json())
    assert stored == structure
    one, other = PathGraph(structure, "25").graph, PathGraph(stored, "25").graph
    assert [(node.calculation, node.deps) for node in one.nodes] == [
        (node.calculation, node.deps) for node in other.nodes
    ]


def test_values_are_without_the_noise_of_floating_point() -> None:
    assert Found(14.999999999999998, (4.2, 9.45, 1.35), "+").finished().value == 15.0
    assert build_graph([], ()).frontier == []
