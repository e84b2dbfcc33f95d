#include "runtime/cuda/cublaslt.h"

#include "ir/program.h"
#include "ir/support/error.h"

namespace netc::cuda {

std::vector<std::string> cublaslt_files() {
  return {"libcublasLt.so.13", "/usr/local/cuda/lib64/libcublasLt.so.13",
          "libcublasLt.so.12", "/usr/local/cuda/lib64/libcublasLt.so.12",
          "libcublasLt.so",    "/usr/local/cuda/lib64/libcublasLt.so"};
}

CublasLt::CublasLt(const std::vector<std::string>& files)
    : library(SharedLibrary::first_of(files)) {
  bind(status_name, "cublasLtGetStatusName");
  bind(create, "cublasLtCreate");
  bind(destroy, "cublasLtDestroy");
  bind(create_operation, "cublasLtMatmulDescCreate");
  bind(destroy_operation, "cublasLtMatmulDescDestroy");
  bind(set_operation, "cublasLtMatmulDescSetAttribute");
  bind(create_layout, "cublasLtMatrixLayoutCreate");
  bind(destroy_layout, "cublasLtMatrixLayoutDestroy");
  bind(create_preference, "cublasLtMatmulPreferenceCreate");
  bind(destroy_preference, "cublasLtMatmulPreferenceDestroy");
  bind(set_preference, "cublasLtMatmulPreferenceSetAttribute");
  bind(find_algorithms, "cublasLtMatmulAlgoGetHeuristic");
  bind(matmul, "cublasLtMatmul");
}

void CublasLt::check(cublasStatus_t status, const char* function) const {
  if (status != CUBLAS_STATUS_SUCCESS)
    library_failed("cublaslt", function, status_name(status), static_cast<int>(status));
}

namespace {

using LtOperation = LtObject<cublasLtMatmulDescOpaque_t>;
using LtLayout = LtObject<cublasLtMatrixLayoutOpaque_t>;
using LtPreference = LtObject<cublasLtMatmulPreferenceOpaque_t>;

LtObject<cublasLtContext> make_handle(const CublasLt& lt) {
  cublasLtHandle_t handle = nullptr;
  lt.check(lt.create(&handle), "cublasLtCreate");
  return {handle, lt.destroy};
}

LtOperation make_operation(const CublasLt& lt, Precision precision) {
  NETC_CHECK(precision == Precision::fp32 || precision == Precision::tf32,
             "cuBLASLt is asked for {}", to_string(precision));
  cublasLtMatmulDesc_t operation = nullptr;
  const cublasComputeType_t type =
      precision == Precision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  lt.check(lt.create_operation(&operation, type, CUDA_R_32F), "cublasLtMatmulDescCreate");
  return {operation, lt.destroy_operation};
}

/// A matrix without gaps between its columns.
LtLayout make_layout(const CublasLt& lt, int64_t rows, int64_t columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  lt.check(lt.create_layout(&layout, CUDA_R_32F, static_cast<uint64_t>(rows),
                            static_cast<uint64_t>(columns), rows),
           "cublasLtMatrixLayoutCreate");
  return {layout, lt.destroy_layout};
}

template <class T>
void set(const CublasLt& lt, const LtOperation& operation, cublasLtMatmulDescAttributes_t attribute,
         const T& value) {
  lt.check(lt.set_operation(operation.get(), attribute, &value, sizeof value),
           "cublasLtMatmulDescSetAttribute");
}

template <class T>
void set(const CublasLt& lt, const LtPreference& preference,
         cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
  lt.check(lt.set_preference(preference.get(), attribute, &value, sizeof value),
           "cublasLtMatmulPreferenceSetAttribute");
}

bool is_forward(const LibraryCall& call) {
  if (call.library != "cublaslt" ||
      (call.pass != "linear_forward" && call.pass != "linear_data_gradient"))
    throw RuntimeError(fmt::format("there is no `{}` of `{}`", call.pass, call.library),
                       "compile the network again");
  return call.pass == "linear_forward";
}

/// All that an arena promises of an address.
constexpr uint32_t alignment = arena_alignment;

LtPreference make_preference(const CublasLt& lt, int64_t scratch_bytes) {
  cublasLtMatmulPreference_t made = nullptr;
  lt.check(lt.create_preference(&made), "cublasLtMatmulPreferenceCreate");
  LtPreference preference(made, lt.destroy_preference);
  set(lt, preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
      static_cast<uint64_t>(scratch_bytes));
  // Sums that are cut are added afterwards, in order and in f32.
  set(lt, preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  for (auto attribute :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    set(lt, preference, attribute, alignment);
  return preference;
}

} // namespace

CublasLtHandle::CublasLtHandle(const std::vector<std::string>& files)
    : functions(files), handle(make_handle(functions)) {}

// Forward y = x w^T, which is y^T = w x^T: w lies as in x out to the library, x^T as in x batch.
// The data gradient dx = dy w is dx^T = w^T dy^T.
ProductDescription::ProductDescription(const CublasLt& lt, const LibraryCall& call,
                                       Precision precision)
    : operation(make_operation(lt, precision)),
      a(make_layout(lt, call.in_features, call.out_features)),
      b(make_layout(lt, is_forward(call) ? call.in_features : call.out_features, call.batch)),
      d(make_layout(lt, is_forward(call) ? call.out_features : call.in_features, call.batch)) {
  set(lt, operation, CUBLASLT_MATMUL_DESC_TRANSA,
      static_cast<int32_t>(is_forward(call) ? CUBLAS_OP_T : CUBLAS_OP_N));
  const auto epilogue = call.bias >= 0 ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  set(lt, operation, CUBLASLT_MATMUL_DESC_EPILOGUE, static_cast<uint32_t>(epilogue));
}

MatrixProduct::MatrixProduct(const CublasLtHandle& library, const LibraryCall& call,
                             Precision precision, std::string kernel)
    : library_(library), call_(call), kernel_(std::move(kernel)),
      description_(library.functions, call, precision) {
  choose_algorithm();
}

void MatrixProduct::choose_algorithm() {
  const CublasLt& lt = library_.functions;
  const auto& [operation, a, b, d] = description_;
  if (call_.bias >= 0) // any that is aligned like those to come: it is looked at, not followed
    set(lt, operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, reinterpret_cast<void*>(alignment));
  const LtPreference preference = make_preference(lt, call_.scratch_bytes);
  cublasLtMatmulHeuristicResult_t best{};
  int found = 0;
  lt.check(lt.find_algorithms(library_.handle.get(), operation.get(), a.get(), b.get(), d.get(),
                              d.get(), preference.get(), 1, &best, &found),
           "cublasLtMatmulAlgoGetHeuristic");
  lt.check(found > 0 ? best.state : CUBLAS_STATUS_NOT_SUPPORTED, "cublasLtMatmulAlgoGetHeuristic");
  algorithm_ = best.algo;
}

void MatrixProduct::run(std::span<void* const> parameters, cudaStream_t stream) const {
  const CublasLt& lt = library_.functions;
  const auto& [operation, a, b, d] = description_;
  auto parameter = [&](int index) { return parameters[static_cast<size_t>(index)]; };
  const float one = 1, zero = 0;
  void* const result = parameter(call_.result);
  try {
    if (call_.bias >= 0)
      set(lt, operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, parameter(call_.bias));
    lt.check(lt.matmul(library_.handle.get(), operation.get(), &one, parameter(call_.second),
                       a.get(), parameter(call_.first), b.get(), &zero, result, d.get(), result,
                       d.get(), &algorithm_, parameter(call_.scratch),
                       static_cast<size_t>(call_.scratch_bytes), stream),
             "cublasLtMatmul");
  } catch (const RuntimeError& error) {
    throw RuntimeError(fmt::format("{}: {}", kernel_, error.what()), error.hint());
  }
}

} // namespace netc::cuda
