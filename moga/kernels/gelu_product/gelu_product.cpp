// See gelu_product.h. cuBLASLt's matrices are column-major, so a row-major matrix appears transposed: y = x Wᵀ becomes
// yᵀ [hidden, rows] = W · xᵀ, with the bias along the columns.
#include "moga/kernels/gelu_product.h"

#include "moga/kernels/gelu_product/cublas_lt.h"

namespace moga::kernels {
namespace {

// A column-major bfloat16 matrix: `columns` columns of `rows` adjacent elements.
LtOwner<cublasLtMatrixLayout_t> layout_of(int64_t rows, int64_t columns) {
  const CublasLt& lt = cublas_lt();
  cublasLtMatrixLayout_t layout = nullptr;
  check_cublas(
      lt.layout_create(&layout, CUDA_R_16BF, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), rows),
      "layout");
  return {layout, lt.layout_destroy};
}

LtOwner<cublasLtMatmulDesc_t> product_of(const GeluProduct& work) {
  const CublasLt& lt = cublas_lt();
  cublasLtMatmulDesc_t desc = nullptr;
  check_cublas(lt.desc_create(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), "product");
  const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
    // NOLINTNEXTLINE(bugprone-sizeof-expression): some attributes are pointers
    check_cublas(lt.desc_set(desc, attribute, &value, sizeof(value)), "attribute of a product");
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_GELU_AUX_BIAS);
  set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, work.bias);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, work.pre);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, work.hidden);
  return {desc, lt.desc_destroy};
}

cublasLtMatmulAlgo_t algorithm(cublasLtMatmulDesc_t product, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                               cublasLtMatrixLayout_t d) {
  const CublasLt& lt = cublas_lt();
  cublasLtMatmulPreference_t created = nullptr;
  check_cublas(lt.preference_create(&created), "preference");
  const LtOwner preference(created, lt.preference_destroy);
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    check_cublas(lt.preference_set(created, attribute, &value, sizeof(value)), "preference");
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kProductWorkspace);
  for (const auto alignment : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                               CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    set(alignment, uint32_t{16});
  cublasLtMatmulHeuristicResult_t best = {};
  int found = 0;
  check_cublas(lt.heuristic(cublas_lt_handle(), product, a, b, d, d, preference.get(), 1, &best, &found), "heuristic");
  if (found == 0) throw std::runtime_error("cuBLASLt has no product with a GELU epilogue for these sizes");
  return best.algo;
}

}  // namespace

void gelu_product(const GeluProduct& work) {
  const auto product = product_of(work);
  const auto weight = layout_of(work.in, work.hidden), x = layout_of(work.in, work.rows);
  const auto y = layout_of(work.hidden, work.rows);
  const cublasLtMatmulAlgo_t algo = algorithm(product.get(), weight.get(), x.get(), y.get());
  const float one = 1, zero = 0;
  check_cublas(
      cublas_lt().matmul(cublas_lt_handle(), product.get(), &one, work.weight, weight.get(), work.x, x.get(), &zero,
                         work.y, y.get(), work.y, y.get(), &algo, work.workspace, kProductWorkspace, work.stream),
      "product with a GELU epilogue");
}

}  // namespace moga::kernels
