// Products by cuBLASLt, against a double loop: the calls go to a stand-in that follows the
// library's documentation on the host's memory (cublaslt_stand_in.cpp).

#include "runtime/cuda/cublaslt.h"

#include "ir/program.h"
#include "ir/support/error.h"
#include "runtime/cuda/kernels.h"
#include "tests/runtime/temporary_folder.h"
#include "tests/support/places.h"

#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <cstring>
#include <fstream>
#include <random>

namespace netc::cuda {
namespace {

using testing::HasSubstr;

std::string stand_in_file() {
  return (test::binary_root() / "stand-ins/libcublaslt_stand_in.so").string();
}

/// Floats at an address that is aligned as in an arena and no better, NaN at first, with a band
/// behind that must stay NaN.
class Place {
public:
  explicit Place(int64_t count) : count_(count), memory_(static_cast<size_t>(count) + 2 * 64, NAN) {
    const auto address = reinterpret_cast<uintptr_t>(memory_.data());
    first_ = (128 - address % 128 + arena_alignment) % 128 / sizeof(float);
  }
  float* data() { return memory_.data() + first_; }
  void fill(unsigned seed) {
    std::mt19937 generator(seed);
    std::uniform_real_distribution<float> value(-1, 1);
    for (int64_t i = 0; i < count_; ++i)
      data()[i] = value(generator);
  }
  bool kept_to_itself() { return std::isnan(data()[count_]) && std::isnan(data()[count_ + 15]); }

private:
  int64_t count_;
  std::vector<float> memory_;
  size_t first_;
};

/// A call with the memory of its step: operands, bias, result, scratch.
struct Case {
  LibraryCall call;
  Place first, second, bias, result, scratch;

  Case(bool forward, int64_t batch, int64_t in, int64_t out, bool with_bias = false)
      : call{.library = "cublaslt",
             .pass = forward ? "linear_forward" : "linear_data_gradient",
             .batch = batch,
             .in_features = in,
             .out_features = out,
             .bias = with_bias ? 2 : -1,
             .result = 3,
             .scratch = 4,
             .scratch_bytes = 256},
        first(batch * (forward ? in : out)), second(out * in), bias(width()),
        result(batch * width()), scratch(64) {
    first.fill(1), second.fill(2), bias.fill(3);
  }
  int64_t width() const {
    return call.pass == "linear_forward" ? call.out_features : call.in_features;
  }
  std::vector<void*> parameters() {
    return {first.data(), second.data(), bias.data(), result.data(), scratch.data()};
  }
  /// What the result should be at [n, i].
  double expected(int64_t n, int64_t i) {
    const bool forward = call.pass == "linear_forward";
    const int64_t in = call.in_features, depth = forward ? in : call.out_features;
    double sum = call.bias >= 0 ? bias.data()[i] : 0;
    for (int64_t k = 0; k < depth; ++k)
      sum += static_cast<double>(first.data()[n * depth + k]) *
             second.data()[forward ? i * in + k : k * in + i];
    return sum;
  }
  /// The largest difference from that.
  double error() {
    double most = 0;
    for (int64_t n = 0; n < call.batch; ++n)
      for (int64_t i = 0; i < width(); ++i) {
        const double difference = std::abs(result.data()[n * width() + i] - expected(n, i));
        most = std::isnan(difference) ? INFINITY : std::max(most, difference);
      }
    return most;
  }
};

class CublasLtCalls : public testing::Test {
protected:
  CublasLtCalls() : control_(stand_in_file()), library_({stand_in_file()}) {}
  void TearDown() override { fail("", {}); } // libraries stay loaded
  void fail(const char* function, cublasStatus_t status) {
    control_.function<void (*)(const char*, cublasStatus_t)>("stand_in_fail")(function, status);
  }
  int asked(const char* what) const { return control_.function<int (*)()>(what)(); }
  void run(Case& c, Precision precision = Precision::fp32) {
    const MatrixProduct product(library_, c.call, precision, "kernel `k`");
    product.run(c.parameters(), nullptr);
  }

  SharedLibrary control_;
  CublasLtHandle library_;
};

TEST_F(CublasLtCalls, MatchesADoubleLoop) {
  const std::array<int64_t, 3> shapes[] = {{1, 1, 1}, {5, 7, 3}, {13, 37, 10}, {64, 129, 67}};
  for (const auto& [batch, in, out] : shapes)
    for (bool forward : {true, false})
      for (bool bias : {false, true}) {
        SCOPED_TRACE(fmt::format("{} {}: {} -> {}, bias {}", forward, batch, in, out, bias));
        Case c(forward, batch, in, out, bias);
        run(c);
        EXPECT_LT(c.error(), 1e-5);
        EXPECT_TRUE(c.result.kept_to_itself());
      }
}

TEST_F(CublasLtCalls, MultipliesAsPreciselyAsAsked) {
  Case c(true, 33, 65, 17);
  run(c, Precision::fp32);
  EXPECT_LT(c.error(), 1e-5);
  run(c, Precision::tf32);
  EXPECT_GT(c.error(), 1e-4);
  EXPECT_LT(c.error(), 1e-2);
}

TEST_F(CublasLtCalls, AProductServesSeveralSteps) {
  Case one(true, 4, 6, 5, true), other(true, 4, 6, 5, true);
  other.first.fill(7), other.bias.fill(8);
  const MatrixProduct product(library_, one.call, Precision::fp32, "kernel `k`");
  const int searches = asked("stand_in_searches");
  for (Case* c : {&one, &other}) {
    product.run(c->parameters(), nullptr);
    EXPECT_LT(c->error(), 1e-5);
  }
  EXPECT_EQ(asked("stand_in_searches"), searches) << "a run searched for an algorithm";
}

TEST_F(CublasLtCalls, CutSumsAreAddedInOrder) {
  Case c(true, 4, 6, 5);
  run(c);
  EXPECT_EQ(asked("stand_in_schemes"), CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
}

TEST_F(CublasLtCalls, ObjectsGoWithTheirOwners) {
  const int before = asked("stand_in_objects");
  Case c(false, 4, 6, 5);
  run(c);
  EXPECT_EQ(asked("stand_in_objects"), before);
}

TEST_F(CublasLtCalls, EveryRefusalIsTold) {
  Case c(true, 4, 6, 5);
  for (const char* function :
       {"cublasLtMatmulDescCreate", "cublasLtMatmulDescSetAttribute", "cublasLtMatrixLayoutCreate",
        "cublasLtMatmulPreferenceCreate", "cublasLtMatmulPreferenceSetAttribute",
        "cublasLtMatmulAlgoGetHeuristic"}) {
    fail(function, CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(error_of<RuntimeError>([&] { run(c); }),
              fmt::format("{} failed: CUBLAS_STATUS_INVALID_VALUE (7)", function));
  }
  const int before = asked("stand_in_objects");
  for (const char* how : {"no algorithm", "the found algorithm"}) {
    fail(how, CUBLAS_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(error_of<RuntimeError>([&] { run(c); }),
              "cublasLtMatmulAlgoGetHeuristic failed: CUBLAS_STATUS_NOT_SUPPORTED (15)");
  }
  EXPECT_EQ(asked("stand_in_objects"), before) << "a refusal leaked";
  fail("cublasLtCreate", CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(error_of<RuntimeError>([] { CublasLtHandle({stand_in_file()}); }),
            "cublasLtCreate failed: CUBLAS_STATUS_INVALID_VALUE (7)");
}

TEST_F(CublasLtCalls, ARunThatFailsNamesItsKernel) {
  Case c(true, 4, 6, 5, true);
  const MatrixProduct product(library_, c.call, Precision::fp32, "kernel `k` (`fc`, net.yaml:3:5)");
  fail("cublasLtMatmul", CUBLAS_STATUS_NOT_SUPPORTED);
  try {
    product.run(c.parameters(), nullptr);
    FAIL() << "no error";
  } catch (const RuntimeError& error) {
    EXPECT_STREQ(error.what(), "kernel `k` (`fc`, net.yaml:3:5): cublasLtMatmul failed: "
                               "CUBLAS_STATUS_NOT_SUPPORTED (15)");
    EXPECT_THAT(error.hint(), HasSubstr("entries of tuning.json that choose `cublaslt`"));
  }
}

TEST_F(CublasLtCalls, UnknownCallsAreRefused) {
  Case c(true, 4, 6, 5);
  c.call.pass = "linear_weight_gradient";
  EXPECT_EQ(error_of<RuntimeError>([&] { run(c); }),
            "there is no `linear_weight_gradient` of `cublaslt`");
  c.call.pass = "linear_forward";
  c.call.library = "blas";
  EXPECT_EQ(error_of<RuntimeError>([&] { run(c); }), "there is no `linear_forward` of `blas`");
}

/// A plan of one kernel, which is all the library's.
Plan plan_of(const LibraryCall& call) {
  Plan plan;
  plan.kernels = {{.name = "00_fc",
                   .binary = {},
                   .implementation = "cublaslt",
                   .precision = "tf32",
                   .library = call}};
  plan.programs = {parse_program("program eval from \"net.yaml\" {\n  arena 64 at least 0\n"
                                 "  %a : f32[1048576] state 4194304 live 0..-1\n"
                                 "  step 00_fc(in %a, in %a, in %a, out %a, workspace %a) "
                                 "\"fc: linear + bias\" @7:5\n}\n")};
  return plan;
}

std::string loading_error(const LibraryCall& call, const std::vector<std::string>& files) {
  return error_of<RuntimeError>(
      [&] { Kernels(plan_of(call), parse_target("cuda:sm_90a"), "nowhere", {.cublaslt = files}); });
}

TEST_F(CublasLtCalls, KernelsOfAPlanCallIt) {
  Case c(true, 4, 6, 5, true);
  const Kernels kernels(plan_of(c.call), parse_target("cuda:sm_90a"), "nowhere",
                        {.cublaslt = {stand_in_file()}});
  const LoadedKernel& kernel = kernels.kernel("00_fc");
  EXPECT_TRUE(kernel.entries.empty());
  ASSERT_TRUE(kernel.product);
  kernel.product->run(c.parameters(), nullptr);
  EXPECT_GT(c.error(), 1e-6) << "tf32 was asked for";
  EXPECT_LT(c.error(), 1e-2);
}

TEST_F(CublasLtCalls, WhereItIsNotTheLayerIsNamed) {
  const LibraryCall call = Case(true, 4, 6, 5, true).call;
  EXPECT_THAT(loading_error(call, {"libnetc-absent.so.1", "libnetc-absent.so"}),
              testing::AllOf(testing::StartsWith("kernel `00_fc` (`fc: linear + bias`, "
                                                 "net.yaml:7:5) calls `cublaslt`, which does not "
                                                 "work here: "),
                             HasSubstr("libnetc-absent.so")));
  TemporaryFolder folder;
  std::ofstream(folder / "liberror.so") << "no library";
  EXPECT_THAT(loading_error(call, {"libnetc-absent.so", (folder / "liberror.so").string(),
                                   "libnetc-absent.so.1"}),
              HasSubstr("liberror.so: "));
  EXPECT_THAT(loading_error(call, {"libm.so.6"}), HasSubstr("holds no `cublasLtGetStatusName`"));
  EXPECT_THAT(loading_error(call, {"libnetc-absent.so", "libm.so.6"}), HasSubstr("libm.so.6"));
}

TEST_F(CublasLtCalls, ParametersThatTheStepLacksAreRefused) {
  for (int LibraryCall::*parameter : {&LibraryCall::first, &LibraryCall::second, &LibraryCall::bias,
                                      &LibraryCall::result, &LibraryCall::scratch}) {
    LibraryCall call = Case(true, 4, 6, 5).call;
    call.*parameter = 5;
    EXPECT_THAT(loading_error(call, {stand_in_file()}),
                HasSubstr("calls a library with parameters it does not have"));
  }
  LibraryCall greedy = Case(true, 4, 6, 5).call;
  greedy.scratch_bytes = 4194304 + 1;
  EXPECT_THAT(loading_error(greedy, {stand_in_file()}),
              HasSubstr("calls a library with parameters it does not have"));
}

/// An attribute as the real library holds it.
template <class T>
T attribute_of(const CublasLt& lt, const ProductDescription& product,
               cublasLtMatmulDescAttributes_t attribute) {
  using Get = decltype(&cublasLtMatmulDescGetAttribute);
  T value{};
  size_t written = 0;
  lt.check(lt.library.function<Get>("cublasLtMatmulDescGetAttribute")(
               product.operation.get(), attribute, &value, sizeof value, &written),
           "cublasLtMatmulDescGetAttribute");
  return value;
}

TEST(RealCublasLt, TakesTheDescriptions) {
  std::unique_ptr<CublasLt> lt;
  try {
    lt = std::make_unique<CublasLt>(cublaslt_files());
  } catch (const RuntimeError& error) {
    GTEST_SKIP() << "skipped: no cuBLASLt, " << error.what();
  }
  for (bool bias : {false, true}) {
    const ProductDescription product(*lt, Case(true, 4, 6, 5, bias).call, Precision::tf32);
    EXPECT_EQ(attribute_of<uint32_t>(*lt, product, CUBLASLT_MATMUL_DESC_EPILOGUE),
              bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT);
    EXPECT_EQ(attribute_of<int32_t>(*lt, product, CUBLASLT_MATMUL_DESC_TRANSA), CUBLAS_OP_T);
    EXPECT_EQ(attribute_of<int32_t>(*lt, product, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE),
              CUBLAS_COMPUTE_32F_FAST_TF32);
  }
  const ProductDescription gradient(*lt, Case(false, 4, 6, 5).call, Precision::fp32);
  EXPECT_EQ(attribute_of<int32_t>(*lt, gradient, CUBLASLT_MATMUL_DESC_TRANSA), CUBLAS_OP_N);
  EXPECT_EQ(attribute_of<int32_t>(*lt, gradient, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE),
            CUBLAS_COMPUTE_32F);
}

} // namespace
} // namespace netc::cuda
