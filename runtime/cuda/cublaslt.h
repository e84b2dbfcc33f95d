#pragma once
// Matrix products by NVIDIA's cuBLASLt. It is opened where a plan asks for it; netc links none of
// it.

#include "ir/plan.h"
#include "ir/target.h"
#include "runtime/cuda/library_product.h"
#include "runtime/shared_library.h"

#include <cublasLt.h>

#include <memory>

namespace netc::cuda {

/// Where the library may be, the newest first.
std::vector<std::string> cublaslt_files();

/// The functions that netc calls, as cublasLt.h declares them.
struct CublasLt {
  /// Opens the first of `files` that is there. RuntimeError when none is, or a function is missing.
  explicit CublasLt(const std::vector<std::string>& files);

  /// Throws RuntimeError unless `status` is success: the function, the status and its number.
  void check(cublasStatus_t status, const char* function) const;

  SharedLibrary library;
  decltype(&cublasLtGetStatusName) status_name;
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtMatmulDescCreate) create_operation;
  decltype(&cublasLtMatmulDescDestroy) destroy_operation;
  decltype(&cublasLtMatmulDescSetAttribute) set_operation;
  decltype(&cublasLtMatrixLayoutCreate) create_layout;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout;
  decltype(&cublasLtMatmulPreferenceCreate) create_preference;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference;
  decltype(&cublasLtMatmulAlgoGetHeuristic) find_algorithms;
  decltype(&cublasLtMatmul) matmul;

private:
  template <class Function> void bind(Function& function, const char* name) {
    function = library.function<Function>(name);
  }
};

/// An object of the library that goes with its owner, before the functions do.
template <class T> using LtObject = std::unique_ptr<T, cublasStatus_t (*)(T*)>;

/// The library on the device that is current when this is made.
struct CublasLtHandle {
  explicit CublasLtHandle(const std::vector<std::string>& files);

  CublasLt functions;
  LtObject<cublasLtContext> handle;
};

/// How the library is told of a product; needs no device. Its matrices are column-major: what is
/// [rows, columns] to netc is its transpose to the library, columns x rows.
struct ProductDescription {
  /// RuntimeError when the library, or netc, knows no such product.
  ProductDescription(const CublasLt& functions, const LibraryCall& call, Precision precision);

  LtObject<cublasLtMatmulDescOpaque_t> operation;
  LtObject<cublasLtMatrixLayoutOpaque_t> a, b, d; ///< d = op(a) b, then the bias.
};

class MatrixProduct : public LibraryProduct {
public:
  /// Has the library choose an algorithm. `library` must outlive the product; `kernel`: whose it
  /// is, for errors. Throws RuntimeError where the library refuses.
  MatrixProduct(const CublasLtHandle& library, const LibraryCall& call, Precision precision,
                std::string kernel);

  void run(std::span<void* const> parameters, cudaStream_t stream) const override;

private:
  void choose_algorithm();

  const CublasLtHandle& library_;
  LibraryCall call_;
  std::string kernel_;
  ProductDescription description_;
  cublasLtMatmulAlgo_t algorithm_{};
};

} // namespace netc::cuda
