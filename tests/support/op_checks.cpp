#include "tests/support/op_checks.h"

#include "ir/ops.h"
#include "tests/support/gpu.h"
#include "tests/support/run_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace netc::test {

namespace {

/// Relative L2 errors allowed for reductions of up to `long_reduction` terms.
struct Tolerances {
  double forward, gradient;
};
constexpr int64_t long_reduction = 10'000;

/// Operands with a mantissa of p bits are off by 2^-(p+1) at most, 0.58 of that in the mean; two of
/// them make a product. The sums of random products keep the relative error.
Tolerances tolerances_of(Precision precision) {
  switch (precision) {
  case Precision::fp32:
    return {2e-6, 1e-5};
  case Precision::x3tf32:
    return {4e-6, 1e-5};
  case Precision::tf32:
    return {1e-3, 1e-3};
  case Precision::bf16:
    break;
  }
  return {8e-3, 8e-3};
}

/// Largest error seen, and where.
struct Worst {
  double error = 0;
  std::string where = "-";
  void add(double value, const std::string& name) {
    if (value > error)
      error = value, where = name;
  }
};

std::string describe(const Node& node) {
  std::string text = node.op->name + "(";
  for (const Value* operand : node.operands)
    text += (operand == node.operands[0] ? "" : ", ") + operand->type.str();
  return text + ") -> " + node.result()->type.str() + " [" + node.name + "]";
}

/// Compares a result; integers must be equal.
void expect_close(const RefTensor& got, const RefTensor& want, double tolerance,
                  const std::string& where, Worst& worst) {
  if (want.type.dtype != DType::f32) {
    EXPECT_EQ(got.data, want.data) << where;
    return;
  }
  double error = relative_error(got, want);
  EXPECT_LT(error, tolerance) << where;
  worst.add(error, where);
}

/// The largest errors of a table.
struct Errors {
  Worst forward, gradients;

  void print(const std::string& what) const {
    std::printf("%s: worst relative error forward %.2g, %s\n", what.c_str(), forward.error,
                forward.where.c_str());
    if (gradients.error > 0)
      std::printf("%s: worst relative error gradient %.2g, %s\n", what.c_str(), gradients.error,
                  gradients.where.c_str());
  }
};

void expect_case(const CaseGraph::Case& c, const Tensors& got, const Tensors& want,
                 const Tolerances& tolerances, Errors& errors) {
  double scale = std::max(1.0, static_cast<double>(c.description->terms) /
                                   static_cast<double>(long_reduction));
  std::string where = describe(*c.node);
  for (const auto& result : c.node->results)
    expect_close(got.at(result->name), want.at(result->name), tolerances.forward * scale, where,
                 errors.forward);
  for (const Value* gradient : c.gradients)
    if (gradient && got.count(gradient->name))
      expect_close(got.at(gradient->name), want.at(gradient->name), tolerances.gradient * scale,
                   describe(*gradient->node) + " of " + where, errors.gradients);
}

/// Runs the cases, on the CPU on one and on two threads.
void check_cases(const std::vector<OpCase>& cases, const RunOptions& options, Errors& errors) {
  SCOPED_TRACE(fmt::format("{} {}{}", options.target.str(), to_string(options.precision),
                           options.exact ? ", exact" : ""));
  CaseGraph built = build_cases(cases);
  CompiledGraph compiled = compile(prepare_graph(built.graph, options), options);
  Tensors want = interpret_outputs(built.graph, built.inputs);
  Tensors got = compiled.run(built.inputs, 1);
  if (options.target.kind == Target::Kind::cpu) {
    Tensors two = compiled.run(built.inputs, 2);
    for (const auto& [name, tensor] : got)
      EXPECT_TRUE(tensor.data == two.at(name).data)
          << name << " differs between one and two threads";
  }
  for (const CaseGraph::Case& c : built.cases)
    expect_case(c, got, want, tolerances_of(options.precision), errors);
}

std::vector<OpCase> exact_cases(const std::vector<OpCase>& cases) {
  std::vector<OpCase> list;
  std::copy_if(cases.begin(), cases.end(), std::back_inserter(list),
               [](const OpCase& c) { return c.exact; });
  return list;
}

bool has_contraction(const std::vector<OpCase>& cases) {
  return std::any_of(cases.begin(), cases.end(),
                     [](const OpCase& c) { return c.op->is_contraction(); });
}

/// In blocks of pixels.
void check_in_precision(const std::string& name, const std::vector<OpCase>& cases,
                        const Target& target, Precision precision) {
  Errors errors;
  check_cases(cases, {.target = target, .precision = precision, .busy_threads = 0}, errors);
  errors.print(fmt::format("{} on {}, {}", name, target.str(), to_string(precision)));
}

/// All precisions of matrix instructions that the target has, where the cases multiply at all.
void check_products(const std::string& name, const std::vector<OpCase>& cases,
                    const Target& target) {
  if (has_contraction(cases))
    for (Precision precision : {Precision::x3tf32, Precision::tf32, Precision::bf16})
      if (supports(target, precision))
        check_in_precision(name, cases, target, precision);
}

/// All precisions; and exact mode, pixel by pixel.
void check_cuda_text(const std::string& name, const std::vector<OpCase>& cases,
                     const Target& target) {
  check_in_precision(name, cases, target, Precision::fp32);
  check_products(name, cases, target);
  Errors errors;
  check_cases(exact_cases(cases), {.target = target, .precision = Precision::fp32, .exact = true},
              errors);
  errors.print(fmt::format("{} on {}, exact", name, target.str()));
}

} // namespace

void check_generated_code(const std::string& name, const std::vector<OpCase>& cases) {
  Errors errors;
  check_cases(cases, {}, errors);
  check_cases(exact_cases(cases), {.exact = true}, errors);
  errors.print(name);
}

void check_on_emulator(const std::string& name, const std::vector<OpCase>& cases) {
  check_cuda_text(name, cases, parse_target("emu"));
  check_products(name, cases, parse_target("emu:sm_80")); // all else is the same text
}

void check_on_gpu(const std::string& name, const std::vector<OpCase>& cases) {
  const std::vector<Target> targets = gpu_targets();
  if (targets.empty())
    GTEST_SKIP() << no_gpu;
  check_cuda_text(name, cases, targets.front());
  if (targets.size() > 1)
    check_products(name, cases, targets.back());
}

namespace {

/// A single case and its forward function, sum of cotangent x result, in double.
class Differences {
public:
  explicit Differences(const OpCase& description)
      : built_(build_cases({description})), case_(built_.cases.front()),
        values_(interpret(built_.graph, built_.inputs)) {}

  /// Compares the gradient of every operand along coordinates and random directions.
  void check(Worst& worst) {
    for (size_t k = 0; k < case_.node->operands.size(); ++k) {
      const Value& operand = *case_.node->operands[k];
      if (operand.type.dtype != DType::f32)
        continue;
      ASSERT_NE(case_.gradients[k], nullptr) << describe(*case_.node) << ", operand " << k;
      ASSERT_EQ(case_.gradients[k]->type, operand.type) << describe(*case_.node);
      check_operand(k, worst);
    }
  }

private:
  void check_operand(size_t k, Worst& worst) {
    const std::vector<double>& gradient = values_.at(case_.gradients[k]).data;
    size_t count = gradient.size();
    double squares = 0;
    for (double g : gradient)
      squares += g * g;
    double typical = std::sqrt(squares / static_cast<double>(count));
    std::vector<double> direction(count, 0.0);
    const size_t coordinates = std::min<size_t>(count, 48);
    for (size_t i = 0; i < coordinates; ++i) {
      size_t at = count <= 48 ? i : random_() % count;
      direction[at] = 1;
      compare(k, direction, gradient, typical, worst);
      direction[at] = 0;
    }
    for (int repeat = 0; repeat < 3; ++repeat) {
      for (double& d : direction)
        d = random_() % 2 ? 1 : -1;
      compare(k, direction, gradient, typical * std::sqrt(static_cast<double>(count)), worst);
    }
  }

  void compare(size_t k, const std::vector<double>& direction, const std::vector<double>& gradient,
               double typical, Worst& worst) {
    constexpr double step = 1e-5;
    double analytic = 0;
    for (size_t i = 0; i < direction.size(); ++i)
      analytic += direction[i] * gradient[i];
    double rounding = 0;
    double above = evaluate(k, direction, step, rounding);
    double below = evaluate(k, direction, -step, rounding);
    double error = std::abs((above - below) / (2 * step) - analytic);
    double scale = std::max(std::abs(analytic), typical) + 1e-16 / step * rounding / 1e-6;
    EXPECT_LE(error, 1e-6 * scale)
        << describe(*case_.node) << ", operand " << k << ": gradient " << analytic;
    if (scale > 0)
      worst.add(error / scale, describe(*case_.node));
  }

  /// The function `offset` along `direction` of operand `k`; adds the magnitude of its terms to
  /// `rounding`.
  double evaluate(size_t k, const std::vector<double>& direction, double offset, double& rounding) {
    const Node& node = *case_.node;
    const Value* moved = node.operands[k];
    RefTensor operand = values_.at(moved);
    for (size_t i = 0; i < direction.size(); ++i)
      operand.data[i] += offset * direction[i];
    std::vector<const RefTensor*> operands;
    for (const Value* value : node.operands)
      operands.push_back(value == moved ? &operand : &values_.at(value));
    std::vector<RefTensor> results;
    for (const auto& result : node.results)
      results.push_back(
          {result->type, std::vector<double>(static_cast<size_t>(result->type.elements()))});
    RefContext context{node, operands, results};
    node.op->reference(context);
    const std::vector<double>& cotangent = built_.inputs.at(case_.cotangent).data;
    double sum = 0;
    for (size_t i = 0; i < cotangent.size(); ++i) {
      sum += cotangent[i] * results[0].data[i];
      rounding += std::abs(cotangent[i] * results[0].data[i]);
    }
    return sum;
  }

  CaseGraph built_;
  CaseGraph::Case& case_;
  std::unordered_map<const Value*, RefTensor> values_;
  Random random_{7};
};

/// Asks for one operand's gradient at a time: it must come, whatever else is wanted.
void expect_each_gradient_alone(const OpCase& description) {
  CaseGraph built = build_cases({description});
  const Node& node = *built.cases.front().node;
  std::vector<Value*> cotangents(node.results.size(), nullptr);
  cotangents[0] = built.graph.find(built.cases.front().cotangent);
  for (size_t k = 0; k < node.operands.size(); ++k) {
    if (node.operands[k]->type.dtype != DType::f32)
      continue;
    auto wanted = std::make_unique<bool[]>(node.operands.size());
    wanted[k] = true;
    GraphBuilder builder(built.graph);
    VjpContext context{builder, node, cotangents, {wanted.get(), node.operands.size()}};
    std::vector<Value*> gradients = node.op->vjp(context);
    EXPECT_NE(gradients.at(k), nullptr) << describe(node) << ", operand " << k;
  }
}

} // namespace

void check_finite_differences(const std::string& name, const std::vector<OpCase>& cases) {
  Worst worst;
  bool any = false;
  for (const OpCase& description : cases) {
    if (!description.op->vjp || !description.differences)
      continue;
    any = true;
    Differences(description).check(worst);
    expect_each_gradient_alone(description);
  }
  bool differentiable =
      std::any_of(cases.begin(), cases.end(), [](const OpCase& c) { return c.op->vjp != nullptr; });
  EXPECT_EQ(any, differentiable) << "no case of " << name << " is small enough";
  if (any)
    std::printf("%s: worst difference from finite differences %.2g, %s\n", name.c_str(),
                worst.error, worst.where.c_str());
}

namespace {

int64_t extent_of(const Value& value, int dim) {
  return value.type.shape.at(static_cast<size_t>(dim));
}

/// Checks the factors that walk dimension `dim` of a tensor. `dims(factor)` gives the dimension of
/// that tensor a factor walks.
template <class Dims>
void expect_extent(const std::vector<Factor>& factors, const Value& value, int dim, bool result,
                   const std::string& where, Dims dims) {
  int64_t product = 1, windows = 0, walking = 0, groups = 0;
  for (const Factor& factor : factors)
    if (dims(factor) == dim) {
      product *= factor.extent;
      ++walking;
      windows += factor.kind == FactorKind::window;
      groups += factor.kind == FactorKind::group;
    }
  // Windows overlap: several of them together, and their operands, have extents of their own.
  if (walking == 0 || (windows > 0 && (walking > 1 || !result)))
    return;
  // An iteration over groups alone is as many indices as a group has.
  const int64_t extent = extent_of(value, dim);
  EXPECT_EQ(product, groups == walking && extent % product == 0 ? product : extent)
      << where << ": " << (result ? "result " : "operand ") << value.name << ", dimension " << dim;
}

void expect_factors(const Node& node) {
  std::string where = describe(node);
  ASSERT_TRUE(node.op->factors) << where;
  std::vector<Factor> factors = node.op->factors(node);
  for (const Factor& factor : factors) {
    EXPECT_GE(factor.extent, 1) << where << ", " << factor.name;
    EXPECT_EQ(factor.operand_dims.size(), node.operands.size()) << where << ", " << factor.name;
    EXPECT_EQ(factor.result_dims.size(), node.results.size()) << where << ", " << factor.name;
    bool in_result = factor.result_dims.at(0) >= 0;
    if (factor.kind == FactorKind::parallel || factor.kind == FactorKind::reduction) {
      EXPECT_EQ(in_result, factor.kind == FactorKind::parallel) << where << ", " << factor.name;
    }
  }
  auto each_dim = [&](const Value& value, bool result, size_t index) {
    for (int dim = 0; dim < static_cast<int>(value.type.shape.size()); ++dim)
      expect_extent(factors, value, dim, result, where, [&](const Factor& f) {
        const std::vector<int>& dims = result ? f.result_dims : f.operand_dims;
        return index < dims.size() ? dims[index] : -1;
      });
  };
  for (size_t i = 0; i < node.operands.size(); ++i)
    each_dim(*node.operands[i], false, i);
  for (size_t i = 0; i < node.results.size(); ++i)
    each_dim(*node.results[i], true, i);
}

void expect_counts(const Node& node) {
  ASSERT_TRUE(node.op->flops) << node.op->name;
  EXPECT_GE(node.op->flops(node), 0) << describe(node);
  EXPECT_EQ(node.op->is_contraction(), node.op->macs != nullptr) << node.op->name;
  if (node.op->macs) {
    EXPECT_GT(node.op->macs(node), 0) << describe(node);
    EXPECT_EQ(node.op->flops(node), 2 * node.op->macs(node)) << describe(node);
  }
  EXPECT_GE(bytes_moved(node), node.result()->type.bytes()) << describe(node);
}

} // namespace

void check_record(const std::string&, const std::vector<OpCase>& cases) {
  CaseGraph built = build_cases(cases);
  verify(built.graph);
  EXPECT_EQ(print(parse_graph(print(built.graph))), print(built.graph));
  for (const auto& node : built.graph.nodes) {
    if (node->op == &ops::feed || node->op == &ops::parameter)
      continue;
    EXPECT_FALSE(node->op->doc.empty()) << node->op->name;
    expect_factors(*node);
    expect_counts(*node);
  }
  for (bool exact : {false, true}) {
    PreparedGraph prepared = prepare_graph(built.graph, {.exact = exact});
    EXPECT_EQ(print(parse_graph(print(prepared.graph))), print(prepared.graph));
    expect_sound_kernels(prepared.graph, exact);
  }
}

} // namespace netc::test
