// A stand-in for cuBLASLt: the functions that netc calls, as cublasLt.h documents them, over the
// host's memory and at once. It is as strict as the library may be: sizes of attributes, shapes,
// leading dimensions, alignments and the workspace must be right.

#include <cublasLt.h>

#include <cstring>
#include <string>

namespace {

struct Operation {
  cublasComputeType_t compute;
  int32_t transposed[2] = {CUBLAS_OP_N, CUBLAS_OP_N}; // a, b
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const float* bias = nullptr;
};

struct Layout {
  cudaDataType_t type;
  uint64_t rows, columns;
  int64_t stride;
};

struct Preference {
  uint64_t workspace = 0;
  uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_MASK;
  uint32_t alignments[4] = {256, 256, 256, 256}; // a, b, c, d
};

/// What an algorithm of this library says.
struct Algorithm {
  uint64_t workspace;
  uint32_t alignments[4];
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

std::string failing;
cublasStatus_t failure = CUBLAS_STATUS_SUCCESS;
int objects = 0, searches = 0;
uint32_t allowed_schemes = 0;

cublasStatus_t status_of(const char* function) {
  return failing == function ? failure : CUBLAS_STATUS_SUCCESS;
}

/// Makes an object unless the function is to fail.
template <class T, class Handle>
cublasStatus_t make(const char* function, Handle* handle, const T& value) {
  if (cublasStatus_t status = status_of(function); status != CUBLAS_STATUS_SUCCESS)
    return status;
  *handle = reinterpret_cast<Handle>(new T(value));
  ++objects;
  return CUBLAS_STATUS_SUCCESS;
}

template <class T, class Handle> cublasStatus_t destroy(Handle handle) {
  delete reinterpret_cast<T*>(handle);
  --objects;
  return CUBLAS_STATUS_SUCCESS;
}

/// Copies an attribute, whose size must be that of `to`.
template <class T> cublasStatus_t copy(T& to, const void* from, size_t size) {
  if (!from || size != sizeof to)
    return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&to, from, size);
  return CUBLAS_STATUS_SUCCESS;
}

/// Ten bits of mantissa.
float tf32(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  bits = (bits + 0x1000) & ~0x1fffu;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// op(matrix) and its element at (i, j).
struct Operand {
  const float* data;
  const Layout& layout;
  bool transposed, rounded;
  uint64_t rows() const { return transposed ? layout.columns : layout.rows; }
  uint64_t columns() const { return transposed ? layout.rows : layout.columns; }
  double at(uint64_t i, uint64_t j) const {
    const uint64_t stride = static_cast<uint64_t>(layout.stride);
    const float value = transposed ? data[j + i * stride] : data[i + j * stride];
    return rounded ? tf32(value) : value;
  }
};

bool is_aligned(const void* pointer, uint32_t alignment) {
  return pointer && reinterpret_cast<uintptr_t>(pointer) % alignment == 0;
}

bool is_sound(const Layout& layout) {
  return layout.type == CUDA_R_32F && layout.stride >= static_cast<int64_t>(layout.rows);
}

const Layout& layout_of(cublasLtMatrixLayout_t layout) {
  return *reinterpret_cast<const Layout*>(layout);
}

/// Whether the product's shapes fit.
bool fit(const Operand& a, const Operand& b, const Layout& d) {
  return is_sound(a.layout) && is_sound(b.layout) && is_sound(d) && a.columns() == b.rows() &&
         a.rows() == d.rows && b.columns() == d.columns;
}

void multiply(const Operation& operation, float alpha, const Operand& a, const Operand& b,
              float* to, const Layout& d) {
  for (uint64_t j = 0; j < d.columns; ++j)
    for (uint64_t i = 0; i < d.rows; ++i) {
      double sum = 0;
      for (uint64_t k = 0; k < a.columns(); ++k)
        sum += a.at(i, k) * b.at(k, j);
      sum *= alpha;
      if (operation.epilogue & CUBLASLT_EPILOGUE_BIAS)
        sum += operation.bias[i];
      to[i + j * static_cast<uint64_t>(d.stride)] = static_cast<float>(sum);
    }
}

} // namespace

extern "C" {

// -- For tests

/// From now on the function fails with that status.
void stand_in_fail(const char* function, cublasStatus_t status) {
  failing = function;
  failure = status;
}
/// Objects that live.
int stand_in_objects() {
  return objects;
}
/// Searches for algorithms so far, and the reduction schemes that the last one allowed.
int stand_in_searches() {
  return searches;
}
uint32_t stand_in_schemes() {
  return allowed_schemes;
}

// -- The library

const char* cublasLtGetStatusName(cublasStatus_t status) {
  return status == CUBLAS_STATUS_INVALID_VALUE   ? "CUBLAS_STATUS_INVALID_VALUE"
         : status == CUBLAS_STATUS_NOT_SUPPORTED ? "CUBLAS_STATUS_NOT_SUPPORTED"
                                                 : "CUBLAS_STATUS_OTHER";
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  return make("cublasLtCreate", handle, 0);
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  return destroy<int>(handle);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* operation,
                                        cublasComputeType_t compute, cudaDataType_t scale) {
  if (scale != CUDA_R_32F)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  return make("cublasLtMatmulDescCreate", operation, Operation{.compute = compute});
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) {
  return destroy<Operation>(operation);
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t size) {
  if (cublasStatus_t status = status_of("cublasLtMatmulDescSetAttribute"))
    return status;
  auto& operation = *reinterpret_cast<Operation*>(desc);
  switch (attribute) {
  case CUBLASLT_MATMUL_DESC_TRANSA:
    return copy(operation.transposed[0], value, size);
  case CUBLASLT_MATMUL_DESC_TRANSB:
    return copy(operation.transposed[1], value, size);
  case CUBLASLT_MATMUL_DESC_EPILOGUE: // a bias at most
    if (cublasStatus_t status = copy(operation.epilogue, value, size))
      return status;
    return operation.epilogue & ~(CUBLASLT_EPILOGUE_DEFAULT | CUBLASLT_EPILOGUE_BIAS)
               ? CUBLAS_STATUS_NOT_SUPPORTED
               : CUBLAS_STATUS_SUCCESS;
  case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
    return copy(operation.bias, value, size);
  default:
    return CUBLAS_STATUS_INVALID_VALUE;
  }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          uint64_t rows, uint64_t columns, int64_t stride) {
  return make("cublasLtMatrixLayoutCreate", layout, Layout{type, rows, columns, stride});
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  return destroy<Layout>(layout);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  return make("cublasLtMatmulPreferenceCreate", preference, Preference{});
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  return destroy<Preference>(preference);
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t desc,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, size_t size) {
  if (cublasStatus_t status = status_of("cublasLtMatmulPreferenceSetAttribute"))
    return status;
  auto& preference = *reinterpret_cast<Preference*>(desc);
  switch (attribute) {
  case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
    return copy(preference.workspace, value, size);
  case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
    return copy(preference.schemes, value, size);
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
    return copy(preference.alignments[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES],
                value, size);
  default:
    return CUBLAS_STATUS_INVALID_VALUE;
  }
}

/// The one algorithm needs all of the workspace, and operands aligned as the preference says. A
/// bias shows its alignment, without being read.
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t preferred, int requested,
                                              cublasLtMatmulHeuristicResult_t* results,
                                              int* count) {
  ++searches;
  if (cublasStatus_t status = status_of("cublasLtMatmulAlgoGetHeuristic"))
    return status;
  const auto& operation = *reinterpret_cast<const Operation*>(desc);
  const auto& preference = *reinterpret_cast<const Preference*>(preferred);
  const bool bias = operation.epilogue & CUBLASLT_EPILOGUE_BIAS;
  if (requested < 1 || (bias && !is_aligned(operation.bias, 16)))
    return CUBLAS_STATUS_INVALID_VALUE;
  allowed_schemes = preference.schemes;
  results[0] = {};
  results[0].workspaceSize = preference.workspace;
  Algorithm algorithm{preference.workspace, {}};
  std::memcpy(algorithm.alignments, preference.alignments, sizeof algorithm.alignments);
  std::memcpy(&results[0].algo, &algorithm, sizeof algorithm);
  results[0].state = status_of("the found algorithm");
  *count = failing == "no algorithm" ? 0 : 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* chosen,
                              void* workspace, size_t workspace_bytes, cudaStream_t) {
  if (cublasStatus_t status = status_of("cublasLtMatmul"))
    return status;
  const auto& operation = *reinterpret_cast<const Operation*>(desc);
  Algorithm algorithm;
  std::memcpy(&algorithm, chosen, sizeof algorithm);
  const bool rounded = operation.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  const Operand left{static_cast<const float*>(a), layout_of(a_layout),
                     operation.transposed[0] == CUBLAS_OP_T, rounded};
  const Operand right{static_cast<const float*>(b), layout_of(b_layout),
                      operation.transposed[1] == CUBLAS_OP_T, rounded};
  const bool aligned = is_aligned(a, algorithm.alignments[0]) &&
                       is_aligned(b, algorithm.alignments[1]) &&
                       is_aligned(c, algorithm.alignments[2]) &&
                       is_aligned(d, algorithm.alignments[3]) && is_aligned(workspace, 16);
  if (!handle || !aligned || workspace_bytes < algorithm.workspace || c != d ||
      c_layout != d_layout || *static_cast<const float*>(beta) != 0 ||
      !fit(left, right, layout_of(d_layout)))
    return CUBLAS_STATUS_INVALID_VALUE;
  std::memset(workspace, 0xff, workspace_bytes);
  multiply(operation, *static_cast<const float*>(alpha), left, right, static_cast<float*>(d),
           layout_of(d_layout));
  return CUBLAS_STATUS_SUCCESS;
}

} // extern "C"
