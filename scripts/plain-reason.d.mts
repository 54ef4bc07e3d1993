export declare function plainReason(log: string): string;
export declare function complaintIn(log: string): string | undefined;
