import type { HttpHeaderModifiers } from '../mesh/schema/http-header-modifiers.ts';
import type { envoy_config_core_v3_HeaderValueOption as HeaderValueOption } from '../proto/generated/types.ts';

/** The fields that routes and weighted clusters share. */
export interface HeaderChanges {
  readonly request_headers_to_add?: readonly HeaderValueOption[];
  readonly request_headers_to_remove?: readonly string[];
  readonly response_headers_to_add?: readonly HeaderValueOption[];
  readonly response_headers_to_remove?: readonly string[];
}

export function buildHeaderChanges(changes: {
  readonly request_headers?: HttpHeaderModifiers | undefined;
  readonly response_headers?: HttpHeaderModifiers | undefined;
}): HeaderChanges {
  const { request_headers: request, response_headers: response } = changes;
  const [addToRequest, addToResponse] = [additions(request), additions(response)];
  return {
    ...(addToRequest.length > 0 && { request_headers_to_add: addToRequest }),
    ...(request?.remove.length && { request_headers_to_remove: request.remove }),
    ...(addToResponse.length > 0 && { response_headers_to_add: addToResponse }),
    ...(response?.remove.length && { response_headers_to_remove: response.remove }),
  };
}

/** `add` leaves values that are there beside the new one, Envoy's default; `set` replaces them. */
function additions(modifiers: HttpHeaderModifiers | undefined): HeaderValueOption[] {
  return [
    ...Object.entries(modifiers?.add ?? {}).map(([key, value]) => ({ header: { key, value } })),
    ...Object.entries(modifiers?.set ?? {}).map(([key, value]) => ({ header: { key, value }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' as const })),
  ];
}
