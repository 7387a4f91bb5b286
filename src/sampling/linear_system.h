// Small dense systems of linear equations: the weights of multistep solvers.
#pragma once

#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace tempera {

// Solves matrix * x = right by Gaussian elimination with partial pivoting.
inline std::vector<double> solve(std::vector<std::vector<double>> matrix, std::vector<double> right) {
  const size_t n = right.size();
  for (size_t column = 0; column < n; ++column) {
    size_t pivot = column;
    for (size_t row = column + 1; row < n; ++row) {
      if (std::abs(matrix[row][column]) > std::abs(matrix[pivot][column])) pivot = row;
    }
    std::swap(matrix[column], matrix[pivot]);
    std::swap(right[column], right[pivot]);
    for (size_t row = column + 1; row < n; ++row) {
      const double factor = matrix[row][column] / matrix[column][column];
      for (size_t k = column; k < n; ++k) matrix[row][k] -= factor * matrix[column][k];
      right[row] -= factor * right[column];
    }
  }
  for (size_t row = n; row-- > 0;) {
    for (size_t k = row + 1; k < n; ++k) right[row] -= matrix[row][k] * right[k];
    right[row] /= matrix[row][row];
  }
  return right;
}

// The weights of the nodes with sum over i of weights[i] nodes[i]^k = moments[k] for every k: a quadrature that is
// exact for polynomials below the degree of its number of nodes.
inline std::vector<double> weights_of_moments(const std::vector<double>& nodes, const std::vector<double>& moments) {
  std::vector<std::vector<double>> powers(nodes.size());
  for (size_t k = 0; k < nodes.size(); ++k) {
    for (const double node : nodes) powers[k].push_back(std::pow(node, static_cast<double>(k)));
  }
  return solve(powers, moments);
}

}  // namespace tempera
